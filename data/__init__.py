"""What the course ships beside its code: weights with their cards, hashes, data sheets."""
