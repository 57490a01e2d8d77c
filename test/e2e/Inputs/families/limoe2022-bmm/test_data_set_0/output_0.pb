B
similarityJˆ¼8>P!¾;Li>l1¬>³+
>v®¸=