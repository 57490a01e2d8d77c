B
similarityJ‰)Ì¾