"""Old ``logs/<session>/`` trees into the layout: read tolerantly, recorded as imported runs, moved whole."""
