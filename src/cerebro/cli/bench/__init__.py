"""The figures the product answers to, each measured by one command: `cerebro bench NAME --json`."""
