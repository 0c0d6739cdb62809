"""A recorded cell, played again to one side, and the recorded wire of each release."""
