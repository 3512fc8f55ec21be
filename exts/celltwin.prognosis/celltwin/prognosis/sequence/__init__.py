"""Networks that see the past of a cell: what they take in, their kinds, their training and how they are judged."""
