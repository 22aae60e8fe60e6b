"""Measurements that the documents rest on; each file says its command."""
