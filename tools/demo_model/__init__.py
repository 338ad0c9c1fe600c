"""How the demo model was made and is checked: pictures, training, and a checker that looks at pictures."""
