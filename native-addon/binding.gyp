{
  "targets": [
    {
      "target_name": "tsvisor_native",
      "sources": ["src/addon.c", "src/host.c", "src/threads.c", "src/memory.c", "src/io_worker.c", "src/listing.c", "src/spawn.c", "src/signals.c", "src/stub_spawn.c", "src/ptrace.c", "src/systrap.c"],
      "cflags": ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-fvisibility=hidden"],
      "defines": ["NAPI_VERSION=9", "_GNU_SOURCE"]
    }
  ]
}
