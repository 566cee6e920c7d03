// Prints a conversation of one turn in a chat format that llama.cpp has built in:
//
//     llama_chat FORMAT USER [SYSTEM]

#include "llama.h"

#include <cstdio>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: llama_chat FORMAT USER [SYSTEM]\n", stderr);
    return 1;
  }
  std::vector<llama_chat_message> messages;
  if (argc > 3) {
    messages.push_back({"system", argv[3]});
  }
  messages.push_back({"user", argv[2]});
  std::string text(1 << 16, '\0');
  const int32_t length = llama_chat_apply_template(
      argv[1],
      messages.data(),
      messages.size(),
      true,
      text.data(),
      static_cast<int32_t>(text.size()));
  if (length < 0 || length > static_cast<int32_t>(text.size())) {
    std::fprintf(stderr, "llama_chat: no format '%s', or a text too long\n", argv[1]);
    return 1;
  }
  std::fwrite(text.data(), 1, static_cast<size_t>(length), stdout);
  return 0;
}
