"""The filesystem contract: names and places as pure functions; nothing here touches a disk."""
