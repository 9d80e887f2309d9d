"""The five processes; they meet only in `shared` and on the broker."""
