"""Connections: named credentials in ``osiris_connections.yaml``, whose secrets come from the environment.

``file`` reads and checks the file and resolves no variable. ``resolve`` gives a step the values, in memory only.
``standing`` finds secrets where none may stand. A command that uses no connection imports ``variables`` at most.
"""
