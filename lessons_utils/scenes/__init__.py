"""Rendered scenes that need no download: `rooms`, on the one ray caster of the course.

`raycaster` casts and lights, `textures` paints, `rooms` furnishes, renders and keeps the frames.
"""
