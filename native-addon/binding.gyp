{
  "targets": [
    {
      "target_name": "tsvisor_native",
      "sources": ["src/addon.c", "src/host.c", "src/threads.c", "src/memory.c", "src/io_worker.c", "src/listing.c", "src/spawn.c", "src/signals.c", "src/stub_spawn.c", "src/ptrace.c", "src/systrap.c",
        "src/kvm_addon.c", "src/kvm_machine.c", "src/kvm_probe.c", "src/kvm_window.c", "src/kvm_frames.c", "src/kvm_tables.c", "src/kvm_gather.c", "src/kvm_files.c", "src/kvm_ranges.c", "src/kvm_fault.c", "src/kvm_room.c", "src/kvm_residency.c",
        "src/kvm_space.c", "src/kvm_fork.c", "src/kvm_move.c", "src/kvm_access.c", "src/kvm_cpuid.c", "src/kvm_guest.c", "src/kvm_vcpu.c", "src/kvm_exit.c", "src/kvm_xstate.c", "src/kvm_sched.c", "src/kvm_life.c"],
      "cflags": ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-fvisibility=hidden"],
      "defines": ["NAPI_VERSION=9", "_GNU_SOURCE"]
    }
  ]
}
