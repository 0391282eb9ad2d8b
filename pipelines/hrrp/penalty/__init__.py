"""From excess readmission ratios to the payment adjustment factor: peer groups, medians, neutrality modifier, payments."""
