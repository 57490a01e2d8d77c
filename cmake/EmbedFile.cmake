# cmake -DSYMBOL=kName -DINPUT=FILE -DOUTPUT=FILE.cpp -P EmbedFile.cmake
# Writes a source that defines the text of a file as a std::string_view.
file(READ "${INPUT}" text)
file(WRITE "${OUTPUT}" "#include \"compiler/tools/moec/Resources.h\"\n\n"
  "const std::string_view ${SYMBOL} = R\"embedded(${text})embedded\";\n")
