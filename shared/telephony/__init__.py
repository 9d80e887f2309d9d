"""The telephone industry's words, as this product uses them."""
