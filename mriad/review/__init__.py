"""A page to read a prediction by, the marks that readers leave on it, and what becomes of them."""
