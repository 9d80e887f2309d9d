"""`make faults`: each part of the product is killed under load, and the journal read."""
