"""Risk of thermal runaway of every cell, from what is estimated of the pack."""
