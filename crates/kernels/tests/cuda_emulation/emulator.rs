//! Builds kernels of `cuda/*.cu` with the system's C++ compiler and runs them on the CPU; see
//! `include/cuda_on_cpu.h`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that runs some of the kernels.
pub struct Emulator {
    program: PathBuf,
}

/// An argument of a kernel.
#[derive(Debug, Clone, Copy)]
pub enum Argument {
    /// A buffer, by its place among those given.
    Buffer(usize),
    /// A value of 4 bytes.
    U32(u32),
    /// A value of 4 bytes.
    F32(f32),
    /// No buffer.
    #[allow(dead_code, reason = "not every test needs it")]
    Null,
}

/// One launch of a kernel.
#[derive(Debug, Clone)]
pub struct Launch {
    pub kernel: String,
    pub grid: (u32, u32, u32),
    pub block: (u32, u32, u32),
    pub shared: u32,
    pub arguments: Vec<Argument>,
}

impl Emulator {
    /// Builds `cuda/{source}` with these kernels. Prints a message and returns `None` if there is
    /// no compiler.
    pub fn new(source: &str, kernels: &[&str]) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
        if Command::new(&compiler).arg("--version").output().is_err() {
            eprintln!("no C++ compiler ({compiler}): the kernels of {source} are not tested");
            return None;
        }
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{source}.{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the program");
        let list: Vec<String> = kernels.iter().map(|k| format!("KERNEL({k})")).collect();
        let main = format!(
            "#include \"cuda_on_cpu.h\"\n#include \"{source}\"\n\
             int main() {{ return emulation::run({{{}}}); }}\n",
            list.join(", ")
        );
        std::fs::write(folder.join("main.cpp"), main).expect("the program's source");
        let program = folder.join("kernels");
        let build = |sanitizers: &[&str]| {
            let mut command = Command::new(&compiler);
            command
                .args([
                    "-std=c++17",
                    "-O2",
                    "-g1",
                    "-Wall",
                    "-Wno-unknown-pragmas",
                    "-Wno-unused-function",
                ])
                .args(sanitizers);
            command
                .arg("-I")
                .arg(root.join("tests/cuda_emulation/include"))
                .arg("-I")
                .arg(root.join("cuda"));
            command
                .arg(folder.join("main.cpp"))
                .arg("-o")
                .arg(&program)
                .output()
                .expect("the compiler runs")
        };
        // Some systems have a compiler without the sanitizers' libraries.
        let mut built =
            build(&["-fsanitize=address,alignment,bounds", "-fno-sanitize-recover=all"]);
        if !built.status.success() {
            eprintln!(
                "without sanitizers: {}",
                String::from_utf8_lossy(&built.stderr).lines().next().unwrap_or_default()
            );
            built = build(&[]);
        }
        assert!(
            built.status.success(),
            "{source} does not compile: {}",
            String::from_utf8_lossy(&built.stderr)
        );
        Some(Self { program })
    }

    /// Runs the launches one after another and returns the buffers. Blocks and threads take turns
    /// in an order that `seed` decides (0: as they are numbered).
    pub fn run(&self, seed: u64, buffers: &[Vec<u8>], launches: &[Launch]) -> Vec<Vec<u8>> {
        let mut input: Vec<u8> = vec![];
        let mut put = |n: u64| input.extend(n.to_le_bytes());
        put(seed);
        put(buffers.len() as u64);
        for buffer in buffers {
            input.extend((buffer.len() as u64).to_le_bytes());
            input.extend(buffer);
        }
        input.extend((launches.len() as u64).to_le_bytes());
        for launch in launches {
            input.extend((launch.kernel.len() as u64).to_le_bytes());
            input.extend(launch.kernel.as_bytes());
            let mut put = |n: u64| input.extend(n.to_le_bytes());
            let (gx, gy, gz) = launch.grid;
            let (bx, by, bz) = launch.block;
            [gx, gy, gz, bx, by, bz, launch.shared, launch.arguments.len() as u32]
                .into_iter()
                .for_each(|n| put(n.into()));
            for argument in &launch.arguments {
                let (kind, value) = match *argument {
                    Argument::Buffer(at) => (0, at as u64),
                    Argument::U32(v) => (1, v.into()),
                    Argument::F32(v) => (1, v.to_bits().into()),
                    Argument::Null => (2, 0),
                };
                [kind, value, 0].into_iter().for_each(&mut put);
            }
        }
        let mut child = Command::new(&self.program)
            .env("ASAN_OPTIONS", "detect_leaks=0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().expect("the program ends");
        let written = writer.join().expect("no panic");
        assert!(
            output.status.success(),
            "{:?}: {}",
            launches.iter().map(|l| &l.kernel).collect::<Vec<_>>(),
            String::from_utf8_lossy(&output.stderr)
        );
        written.expect("the program reads all its input");
        let mut rest = &output.stdout[..];
        buffers
            .iter()
            .map(|b| {
                let (own, others) = rest.split_at(b.len());
                rest = others;
                own.to_vec()
            })
            .collect()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        std::fs::remove_dir_all(self.program.parent().expect("a folder")).ok();
    }
}

/// The bytes of values.
pub fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The values of bytes.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes"))).collect()
}
