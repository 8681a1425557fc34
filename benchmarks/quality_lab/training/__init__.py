"""What trains, in the environment that has scikit-learn, LightGBM and torch; `serving` is its door."""
