//! The variables of the environment that the program reads, as the help shows them.

/// What every command reads.
pub const ENVIRONMENT: &str = "\
Environment:
  RAYON_NUM_THREADS     how many threads, if --threads is not given
  CANDLE_NUM_THREADS    how many threads candle's elementwise operations have of their own;
                        --threads does not set it [default: 1, fastest beside the others]
  RUST_LOG              what the log shows, such as warn or info,foresee=debug, if neither -q
                        nor -v is given
  NO_COLOR              not empty: no colours in the log
  CLICOLOR_FORCE        not empty: colours in the log, even if no terminal shows it
  CLICOLOR              0: no colours in the log
  TERM                  dumb: lines in place of progress bars, and no colours
  SLURM_ARRAY_TASK_ID   the number of a run, if --only has none
  CUDA_VISIBLE_DEVICES  with --device cuda: the first GPU of these is used
  HF_HOME, HF_TOKEN, …  with --hub and `data fetch`, whose help explains them";

/// What commands read that download from the hub.
pub(super) const HUB_ENVIRONMENT: &str = "\
Environment (in builds with the feature `hub`):
  HF_TOKEN              access to datasets that are not public
  HF_TOKEN_PATH         a file with that token [default: HF_HOME/token]
  HF_HUB_DISABLE_IMPLICIT_TOKEN
                        not empty: use no token
  HF_HOME               the hub's folder [default: XDG_CACHE_HOME/huggingface, else
                        ~/.cache/huggingface]
  HF_HUB_CACHE          where datasets are kept [default: HF_HOME/hub]
  HF_HUB_OFFLINE        1: use no network, only what is in the cache
  HF_ENDPOINT           another hub [default: https://huggingface.co]
  HTTPS_PROXY           a proxy
Every command also reads the variables that the help of the program lists.";
