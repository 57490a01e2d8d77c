//===- Coprocess.cpp - a program that answers line by line ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Coprocess.h"

#include "compiler/tools/moec/Commands.h"

#include <cerrno>
#include <cstring>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

Coprocess::Coprocess(const std::string &program,
                     const std::vector<std::string> &arguments) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    exitWithError(std::string("cannot connect to a process: ") +
                  std::strerror(errno));
  connection = ends[0];
  std::vector<char *> argv = {const_cast<char *>(program.c_str())};
  for (const std::string &argument : arguments)
    argv.push_back(const_cast<char *>(argument.c_str()));
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  int error = posix_spawnp(&process, program.c_str(), &actions, nullptr,
                           argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (error != 0) {
    close(connection);
    exitWithError("cannot start '" + program + "': " + std::strerror(error));
  }
}

Coprocess::~Coprocess() {
  close(connection);
  while (waitpid(process, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Coprocess::send(const std::string &text) {
  for (size_t done = 0; done < text.size();) {
    ssize_t piece = ::send(connection, text.data() + done, text.size() - done,
                           MSG_NOSIGNAL);
    if (piece < 0 && errno == EINTR)
      continue;
    if (piece < 0)
      return;
    done += piece;
  }
}

std::string Coprocess::receiveLine() {
  size_t end;
  while ((end = received.find('\n')) == std::string::npos) {
    char buffer[4096];
    ssize_t piece = read(connection, buffer, sizeof(buffer));
    if (piece < 0 && errno == EINTR)
      continue;
    if (piece <= 0)
      return std::exchange(received, "");
    received.append(buffer, piece);
  }
  std::string line = received.substr(0, end);
  received.erase(0, end + 1);
  return line;
}
