"""Commands for operators that need more than one call: each module is one of them."""
