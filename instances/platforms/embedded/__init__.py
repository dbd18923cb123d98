"""The embedded platform: this program itself."""
