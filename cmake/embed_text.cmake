# Writes INPUT as a string constant NAME into the C++ file OUTPUT, which includes HEADER. Run with:
#   cmake -DINPUT=... -DOUTPUT=... -DNAME=kChartJs -DHEADER=eval/report_assets.h -P embed_text.cmake
cmake_minimum_required(VERSION 3.25)

file(READ "${INPUT}" text)
string(FIND "${text}" ")errata\"" clash)
if(NOT clash EQUAL -1)
  message(FATAL_ERROR "embed_text: ${INPUT} contains the end mark of the literal")
endif()
file(WRITE "${OUTPUT}" "#include \"${HEADER}\"

namespace errata::eval {

const std::string_view ${NAME} = R\"errata(${text})errata\";

} // namespace errata::eval
")
