"""What reaches out of Cerebro: one file a protocol, each with its own limits."""
