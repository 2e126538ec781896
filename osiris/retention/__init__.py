"""What becomes old and goes: run folders and annexes of runs that have ended, and never anything else.

``plan`` says what goes and why, purely, in the terms of ``planned`` and short of the ``walls``; ``folders`` looks at
the disk and removes one folder; ``clean`` records a plan, carries it out and records what is gone. There is no other
way in which anything of a run is deleted.
"""
