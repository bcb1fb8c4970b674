"""The pages of the docs, and in ``generator`` what writes the rest of them."""
