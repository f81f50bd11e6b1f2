"""Git by its own program: the checkout, the ledger."""
