"""Whether a trial is given up at a report: rules of our own, which read the reports alone, and pruners of Optuna's."""
