"""What is coming: projection to program years being earned, the penalty as a distribution, what-if, break-even, value."""
