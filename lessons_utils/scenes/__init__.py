"""Scenes that need no download: rendered `rooms` with true depth, a drawn `zoo`.

`rooms` stand on the one ray caster of the course: `raycaster` casts and lights, `textures` paints,
`furniture` builds, `rooms` furnishes, renders and keeps the frames. `zoo` draws animals and things
with a `pencil`, small and flat, for the lessons on anomalies.
"""
