"""From what a person typed to what is meant: a study, a campaign, its settings. Nothing is begun here."""
