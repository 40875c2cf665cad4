"""Widgets that a learner moves: each is a pure function that draws, plus the thin `live` widget."""

from lessons_utils.explorers.live import live

__all__ = ["live"]
