"""AdamW in half the memory: weights in two halves, moments in 8 and 16 bits, stepped by compiled code."""
