"""What can be known before a search costs anything: read (`quick`), tried (`smoke`), killed and resumed (`rehearse`).

A check leaves the study as it is: what is run for it runs in a throwaway study of its own.
"""
