"""Fixtures that the chaos tests share with those of whole searches."""

from tests.search.conftest import plain_images, shared_folder

__all__ = ["plain_images", "shared_folder"]
