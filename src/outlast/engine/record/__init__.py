"""What a study's folder and its jobs in the queue say, for whoever looks, opens or mends. Reads, and changes nothing.

Nothing here loads what decides (the coordinator, Optuna): looking is quick.
"""
