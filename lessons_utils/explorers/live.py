"""The widget under every explorer."""
