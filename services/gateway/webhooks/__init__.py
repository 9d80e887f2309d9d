"""Events brought to those who do not come for them: signed, in order, until they take them."""
