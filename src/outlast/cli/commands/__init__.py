"""The commands as they are typed: arguments, options and help; what they do is done in the rooms below."""
