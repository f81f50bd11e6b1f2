"""Python environments made from requirements."""
