"""What a person calls: estimators with scikit-learn's protocol."""
