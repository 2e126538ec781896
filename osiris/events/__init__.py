"""What happened: typed events, the entries that carry them, and the journal that keeps the entries.

The format is on one page, ``docs/journal-format.md``. Read :mod:`osiris.events.entry` for one line,
:mod:`osiris.events.segment` for one file, :mod:`osiris.events.journal` for all of them.
"""
