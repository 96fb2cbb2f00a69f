package types

import "strings"

// dateToken is one field of date/time input, in lower case.
type dateToken struct {
	kind byte // 'n' number, 'd' date with separators, 't' time, 's' word, 'z' signed number (a zone)
	text string
}

// maxDateInput is the longest date/time input that is looked at (PostgreSQL: MAXDATELEN).
const maxDateInput = 256

// lexDateTime splits date/time input into fields as PostgreSQL's ParseDateTime does;
// nil when a character cannot stand there.
func lexDateTime(s string) []dateToken {
	if len(s) > maxDateInput {
		return nil
	}
	s = strings.ToLower(s)
	tokens := make([]dateToken, 0, 8)
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case isSpace(c) || c == ',':
			i++
		case isDigit(c) || c == '.' && i+1 < len(s) && isDigit(s[i+1]):
			tok, end := lexNumber(s, i)
			tokens, i = append(tokens, tok), end
		case isAlpha(c):
			tok, end := lexWord(s, i)
			tokens, i = append(tokens, tok), end
		case c == '+' || c == '-':
			sign := i
			for i++; i < len(s) && isSpace(s[i]); i++ {
			}
			switch {
			case i < len(s) && isDigit(s[i]):
				end := spanOf(s, i, func(c byte) bool { return isDigit(c) || c == ':' || c == '.' || c == '-' })
				tokens, i = append(tokens, dateToken{'z', s[sign:sign+1] + s[i:end]}), end
			case i < len(s) && isAlpha(s[i]):
				end := spanOf(s, i, isAlpha)
				tokens, i = append(tokens, dateToken{'s', s[sign:sign+1] + s[i:end]}), end
			default:
				return nil
			}
		default:
			return nil
		}
	}
	return tokens
}

func lexNumber(s string, i int) (dateToken, int) {
	end := spanOf(s, i, isDigit)
	if end < len(s) && s[end] == ':' {
		end = spanOf(s, end, func(c byte) bool { return isDigit(c) || c == ':' || c == '.' })
		return dateToken{'t', s[i:end]}, end
	}
	if end == len(s) || s[end] != '-' && s[end] != '/' && s[end] != '.' {
		return dateToken{'n', s[i:end]}, end
	}
	separator := s[end]
	end++
	if end < len(s) && isDigit(s[end]) {
		kind := byte('d')
		if separator == '.' {
			kind = 'n'
		}
		end = spanOf(s, end, isDigit)
		if end < len(s) && s[end] == separator {
			kind = 'd'
			end = spanOf(s, end, func(c byte) bool { return isDigit(c) || c == separator })
		}
		return dateToken{kind, s[i:end]}, end
	}
	if separator == '.' {
		return dateToken{'n', s[i:end]}, end
	}
	end = spanOf(s, end, func(c byte) bool { return isDigit(c) || isAlpha(c) || c == separator })
	return dateToken{'d', s[i:end]}, end
}

func lexWord(s string, i int) (dateToken, int) {
	end := spanOf(s, i, isAlpha)
	if end == len(s) || s[end] != '-' && s[end] != '/' && s[end] != '.' && s[end] != '_' && s[end] != '+' {
		return dateToken{'s', s[i:end]}, end
	}
	if months[s[i:end]] != 0 && s[end] != '_' && s[end] != '+' {
		separator := s[end]
		end = spanOf(s, end, func(c byte) bool { return isDigit(c) || isAlpha(c) || c == separator })
		return dateToken{'d', s[i:end]}, end
	}
	if !isZoneName(s[i:end]) && (s[end] == '-' || s[end] == '+') {
		return dateToken{'s', s[i:end]}, end
	}
	end = spanOf(s, end, func(c byte) bool {
		return isDigit(c) || isAlpha(c) || strings.IndexByte("+-/_.:", c) >= 0
	})
	return dateToken{'s', s[i:end]}, end
}

// isZoneName tells whether a word may begin a zone name that goes on after a sign.
func isZoneName(word string) bool {
	_, known := zoneAbbreviations[strings.ToUpper(word)]
	return known && word != "z" || word == "etc" || word == "america" || word == "port"
}

func spanOf(s string, i int, in func(byte) bool) int {
	for i < len(s) && in(s[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isAlpha(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 }
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// trimSpace cuts C's white space from both ends.
func trimSpace(s string) string { return strings.Trim(s, " \t\n\v\f\r") }

var months = map[string]int{
	"jan": 1, "january": 1, "feb": 2, "february": 2, "mar": 3, "march": 3, "apr": 4, "april": 4,
	"may": 5, "jun": 6, "june": 6, "jul": 7, "july": 7, "aug": 8, "august": 8,
	"sep": 9, "sept": 9, "september": 9, "oct": 10, "october": 10, "nov": 11, "november": 11,
	"dec": 12, "december": 12,
}

var weekdays = map[string]bool{
	"sun": true, "sunday": true, "mon": true, "monday": true, "tue": true, "tues": true, "tuesday": true,
	"wed": true, "weds": true, "wednesday": true, "thu": true, "thur": true, "thurs": true, "thursday": true,
	"fri": true, "friday": true, "sat": true, "saturday": true,
}
