//! The address by which people reach a server behind a proxy.

use std::str::FromStr;

use axum::http::Uri;
use axum::http::uri::Scheme;

/// Such as `https://study.example.org`: no path, no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    is_https: bool,
    /// As browsers send it: small letters, with the port unless that is the scheme's own.
    host: String,
}

impl Origin {
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whether a request was for this host.
    pub fn has_host(&self, host: &str) -> bool {
        let usual = if self.is_https { ":443" } else { ":80" };
        self.host.eq_ignore_ascii_case(host.strip_suffix(usual).unwrap_or(host))
    }

    /// As the header `Origin` has it, and as links begin.
    pub fn text(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        format!("{scheme}://{}", self.host)
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || "an address such as https://study.example.org, without a path".to_owned();
        let uri: Uri = text.parse().map_err(|_| refused())?;
        let is_https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(refused()),
        };
        let authority = uri.authority().ok_or_else(refused)?;
        let has_port = authority.as_str().len() > authority.host().len();
        if has_port && authority.port_u16().is_none() {
            return Err(refused());
        }
        let has_more =
            uri.path() != "/" || uri.query().is_some() || authority.as_str().contains('@');
        if has_more || authority.host().is_empty() {
            return Err(refused());
        }
        let usual = if is_https { 443 } else { 80 };
        let host = match authority.port_u16() {
            Some(port) if port != usual => format!("{}:{port}", authority.host()),
            _ => authority.host().to_owned(),
        };
        Ok(Self { is_https, host: host.to_ascii_lowercase() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_browsers_send_it() {
        for (text, expected) in [
            ("https://Study.Example.org", "https://study.example.org"),
            ("https://study.example.org:443/", "https://study.example.org"),
            ("http://lab.example:8080", "http://lab.example:8080"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(text.parse::<Origin>().map(|origin| origin.text()), Ok(expected.into()));
        }
        for text in [
            "study.example.org",
            "ftp://study.example.org",
            "https://study.example.org/page",
            "https://study.example.org?token=1",
            "https://somebody@study.example.org",
            "https://study.example.org:99999",
            "https://study.example.org:",
            "https://",
            "",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
