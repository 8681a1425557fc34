"""The live page: what `status` says, in a browser, over one looker for all that are open.

Here lie the server, who may ask it, and what it says. It reads study folders and writes in none; to stop something it asks
the engine. Requests read what one background thread has put together (`watcher`), and never look at a study themselves. What a
browser sends names a study by a key that is looked up, and a trial by its number: no path is ever made from a request's words.
"""
