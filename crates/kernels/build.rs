//! With the feature `cuda`: compiles `cuda/*.cu` to PTX with nvcc. Without it: nothing.

use std::env::{split_paths, var, var_os};
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    for name in ["NVCC", "CUDA_HOME", "CUDA_PATH", "PATH", "CUDA_COMPUTE_CAP"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    println!("cargo::rerun-if-changed=cuda");
    if let Err(reason) = build() {
        println!("cargo::error=feature cuda: {reason}");
    }
}

/// Compiles each file of kernels to a module of its own in `OUT_DIR`.
fn build() -> Result<(), String> {
    let nvcc = nvcc()?;
    let capability = capability()?;
    let out = PathBuf::from(var("OUT_DIR").map_err(|e| e.to_string())?);
    let sources = std::fs::read_dir("cuda").map_err(|e| format!("the folder cuda: {e}"))?;
    for source in sources
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "cu"))
    {
        let ptx = out.join(source.file_name().expect("a file")).with_extension("ptx");
        compile(&nvcc, capability, &source, &ptx)?;
    }
    Ok(())
}

fn compile(nvcc: &Path, capability: u32, source: &Path, ptx: &Path) -> Result<(), String> {
    let mut command = Command::new(nvcc);
    command
        .args(["--ptx", "-O3", "-std=c++17"])
        .arg(format!("-arch=compute_{capability}"))
        .arg("-o")
        .arg(ptx)
        .arg(source);
    let output = command.output().map_err(|e| format!("{} does not start: {e}", nvcc.display()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{command:?} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim().replace('\n', " | ")
        )),
    }
}

/// The compiler: `NVCC`, or that of `CUDA_HOME` or `CUDA_PATH`, or the first in `PATH`.
fn nvcc() -> Result<PathBuf, String> {
    let name = if cfg!(windows) { "nvcc.exe" } else { "nvcc" };
    let named = var_os("NVCC").map(PathBuf::from);
    let homes = ["CUDA_HOME", "CUDA_PATH"]
        .into_iter()
        .filter_map(var_os)
        .map(|home| Path::new(&home).join("bin").join(name));
    let paths: Vec<PathBuf> = var_os("PATH")
        .map(|path| split_paths(&path).map(|folder| folder.join(name)).collect())
        .unwrap_or_default();
    let found = named.into_iter().chain(homes).chain(paths).find(|path| path.is_file());
    found.ok_or_else(|| {
        "nvcc, the CUDA toolkit's compiler, was found neither at NVCC nor in CUDA_HOME/bin, \
         CUDA_PATH/bin or PATH. Install the toolkit or build without this feature"
            .into()
    })
}

/// The least capability that the kernels are compiled for, as 80 for 8.0: `CUDA_COMPUTE_CAP`, or
/// that of the first GPU, or 80. The driver compiles PTX for any later one.
fn capability() -> Result<u32, String> {
    // An architecture's own variant, such as 90a, can run what is compiled for the number.
    let number =
        |text: &str| text.trim().trim_end_matches(['a', 'f']).replace('.', "").parse::<u32>().ok();
    let capability = match var("CUDA_COMPUTE_CAP") {
        Ok(text) => number(&text).ok_or_else(|| {
            format!("CUDA_COMPUTE_CAP is {text:?}, but a number such as 90 is needed")
        })?,
        Err(_) => {
            let query = Command::new("nvidia-smi")
                .args(["--query-gpu=compute_cap", "--format=csv,noheader"])
                .output();
            let first = query
                .ok()
                .and_then(|output| number(String::from_utf8_lossy(&output.stdout).lines().next()?));
            first.unwrap_or(80)
        }
    };
    match capability >= 80 {
        true => Ok(capability),
        false => Err(format!(
            "the kernels need compute capability 8.0 or more (bf16 tensor cores), \
             but CUDA_COMPUTE_CAP or the GPU says {capability}"
        )),
    }
}
